export const title = { en: "Audit log", de: "Audit-Log" };
