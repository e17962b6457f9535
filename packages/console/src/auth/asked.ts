/** What a log-in answers that asks for a second factor. */
export interface Asked {
  readonly mfa_token: string;
  readonly methods: readonly string[];
  readonly enrolment?: boolean;
  readonly passkey?: unknown;
}
