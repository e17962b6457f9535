/** The tenant's settings that are chosen at Sign-in, and not once more at Settings. */
export const signInSettings = [
  "password_login",
  "second_factor",
  "registration",
  "email_verification",
] as const;
