import { feature } from "../../kernel/feature/feature.ts";
import { doctorRoutes } from "./doctor.routes.ts";

/** The checks of `insulae doctor`, for administrators of the platform. */
export const doctor = feature("doctor", { routes: doctorRoutes });
