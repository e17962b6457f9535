export const title = { en: "Usage", de: "Verbrauch" };
