export const title = { en: "Jobs", de: "Jobs" };
