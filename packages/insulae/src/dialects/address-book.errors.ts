/** How the address book's errors look, and what its routes have in common. */
import { STATUS_CODES } from "node:http";
import { Type } from "typebox";
import { emailTaken, usernameTaken } from "../features/users/users.feature.ts";
import type { ErrorShape } from "../kernel/feature/feature.ts";
import { authenticationRequired, invalidToken } from "../kernel/identity/errors.ts";
import type { AppError } from "../kernel/lib/errors.ts";
import { messageOf } from "./shared.ts";

/** What its document says instead of our titles. */
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

/** What is taken is a mistake like any other there. */
function statusOf({ code, status }: AppError): number {
  return code === emailTaken.code || code === usernameTaken.code ? 400 : status;
}

/** What says that something is done, where there is nothing to show: its client takes JSON only. */
export const Done = Type.Object({ message: Type.String() }, { $id: "AddressBookDone" });
