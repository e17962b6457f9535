import { feature } from "../../kernel/feature/feature.ts";
import { mailFeedbackRoutes } from "./mail-feedback.routes.ts";

/** Receives Amazon SES's reports about bounced e-mails and complaints. */
export const mailFeedback = feature("mail-feedback", {
  dependsOn: ["notifications"],
  routes: mailFeedbackRoutes,
});
