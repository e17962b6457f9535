export const title = { en: "Live logs", de: "Live-Logs" };
