/** The format of the address book's errors, and what its routes share. */
import { STATUS_CODES } from "node:http";
import { Type } from "typebox";
import { emailTaken, usernameTaken } from "../features/users/users.feature.ts";
import type { ErrorShape } from "../kernel/feature/feature.ts";
import { authenticationRequired, invalidToken } from "../kernel/identity/errors.ts";
import type { AppError } from "../kernel/lib/errors.ts";
import { messageOf } from "./shared.ts";

/** Its documented messages, used instead of our titles. */
const messages: Readonly<Record<string, string>> = {
  [authenticationRequired.code]: "Missing authorization header",
  [invalidToken.code]: "Invalid token",
};

export const addressBookErrors: ErrorShape = {
  schema: Type.Object(
    { status: Type.Integer(), error: Type.String(), message: Type.String() },
    { $id: "AddressBookError" },
  ),
  statusOf,
  bodyOf: (error) => ({
    status: statusOf(error),
    error: STATUS_CODES[statusOf(error)],
    message: messages[error.code] ?? messageOf(error),
  }),
};

/** Its API answers 400 for a taken e-mail or username, as for any invalid input. */
function statusOf({ code, status }: AppError): number {
  return code === emailTaken.code || code === usernameTaken.code ? 400 : status;
}

/** A response for success without content: its client accepts only JSON. */
export const Done = Type.Object({ message: Type.String() }, { $id: "AddressBookDone" });
