import { feature } from "../../kernel/feature/feature.ts";
import { mailFeedbackRoutes } from "./mail-feedback.routes.ts";

/** What Amazon SES says of mails after it took them: that they came back, or that nobody wanted them. */
export const mailFeedback = feature("mail-feedback", {
  dependsOn: ["notifications"],
  routes: mailFeedbackRoutes,
});
