import { feature } from "../../kernel/feature/feature.ts";
import { onlyId } from "../../kernel/feature/fields.ts";
import { userMails } from "./mails.ts";
import type { UserTables } from "./users.queries.ts";
import { userRoutes } from "./users.routes.ts";
import { User } from "./users.schemas.ts";
import { emailTaken, usernameTaken } from "./users.service.ts";

export { isRegistrationOpen, isVerificationRequired, isVerified } from "./identity.ts";
export {
  alreadyRegisteredMail,
  type Notice,
  noRoomMail,
  noticeMail,
  passwordResetMail,
  resetPurpose,
  verificationMail,
  verifyPurpose,
  welcomeMail,
} from "./mails.ts";
export {
  alreadyMember,
  createLinkedUser,
  createOwnerUser,
  findActiveUserOf,
  findPerson,
  forgetGoneUser,
  linkAccount,
  noteMembership,
  profileKey,
} from "./membership.ts";
export { canonicalUsername, invalidUsername } from "./username.ts";
export {
  asId,
  createUser,
  createUserUnlessTaken,
  endUserSessions,
  findCredentials,
  findNames,
  findSecret,
  findSignInTraces,
  findSignInUser,
  findStanding,
  findUser,
  findUserOfAccount,
  isUsernameTaken,
  listPeople,
  type UserTables,
  type UserView,
  userSearch,
} from "./users.queries.ts";
export { dropUser, editUser } from "./users.routes.ts";
export { Email, NewPassword, PersonName, Role, Username } from "./users.schemas.ts";
export {
  type Actor,
  addUser,
  changeUser,
  emailTaken,
  lastOwner,
  lockInferior,
  type Owned,
  ownsTenant,
  permissionNotHeld,
  refuseRole,
  refuseUnheld,
  removeThemself,
  roleAboveOwn,
  transferOwnership,
  type UserDeps,
  userNotFound,
  usernameTaken,
  type WithEvents,
} from "./users.service.ts";

/** The members of a tenant. */
export const users = feature<UserTables>("users", {
  permissions: {
    "users:read": {
      description: "See the users of the tenant",
      role: "user",
      aliases: ["ReadUser"],
    },
    "users:write": {
      description: "Add, change and delete users",
      role: "admin",
      aliases: ["CreateUser", "UpdateUser", "DeleteUser"],
    },
  },
  migrations: new URL("./migrations/", import.meta.url),
  tables: ["users"],
  constraints: { users_email_key: emailTaken, users_username_key: usernameTaken },
  mails: userMails,
  events: {
    "user.created": { permission: "users:read", data: User },
    "user.updated": { permission: "users:read", data: User },
    "user.deleted": { permission: "users:read", data: onlyId },
  },
  routes: userRoutes,
});
