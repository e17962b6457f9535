/**
 * Time-based one-time passwords (RFC 6238) with the parameters that every app supports: SHA-1, six
 * digits, steps of 30 seconds.
 */
import { Secret, TOTP } from "otpauth";

const period = 30;

export interface NewTotp {
  /** Base32, 160 bits (RFC 4226, section 4, R6). */
  readonly secret: string;
  /** `otpauth://totp/…`, for apps to read from a QR code. */
  readonly uri: string;
}

/** Shown by the app: issuer and account name. */
export interface TotpLabel {
  readonly issuer: string;
  readonly name: string;
}

export function newTotp(label: TotpLabel): NewTotp {
  const secret = new Secret({ size: 20 });
  // A colon would end the issuer.
  const issuer = label.issuer.replaceAll(":", " ");
  const totp = new TOTP({ issuer, label: label.name, secret, period });
  return { secret: secret.base32, uri: totp.toString() };
}

/**
 * The time step of the code: the current one, or one before or after, because clocks differ and
 * people type slowly (RFC 6238, section 5.2). Undefined if it matches none.
 *
 * @param now milliseconds since 1970
 */
export function stepOf(secret: string, code: string, now: number): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const delta = TOTP.validate({
    token: code,
    secret: Secret.fromBase32(secret),
    period,
    timestamp: now,
    window: 1,
  });
  return delta === null ? undefined : TOTP.counter({ period, timestamp: now }) + delta;
}
