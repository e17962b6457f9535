import { defineTexts } from "../../../lib/i18n.ts";

export const texts = defineTexts({
  en: {
    asJson: "As JSON",
    deleteOne: "Delete it for good?",
    export: "Export",
    import: "Import",
    importAbout: "A CSV file with a line of column names. The dry run changes nothing.",
    importDry: "Try it (dry run)",
    importReal: "Import",
    importResult: (created: number, failed: number) =>
      `${created} rows are right, ${failed} are not.`,
    importDone: (created: number) => `${created} rows were imported.`,
    newOne: "New",
    none: "The API has no lists that you may see",
    nothing: "Nothing here yet",
    search: "Search",
    title: "Data",
  },
  de: {
    asJson: "Als JSON",
    deleteOne: "Endgültig löschen?",
    export: "Exportieren",
    import: "Importieren",
    importAbout: "Eine CSV-Datei mit einer Zeile von Spaltennamen. Der Probelauf ändert nichts.",
    importDry: "Ausprobieren (Probelauf)",
    importReal: "Importieren",
    importResult: (created: number, failed: number) =>
      `${created} Zeilen sind richtig, ${failed} nicht.`,
    importDone: (created: number) => `${created} Zeilen wurden importiert.`,
    newOne: "Neu",
    none: "Die API hat keine Listen, die Sie sehen dürfen",
    nothing: "Noch nichts da",
    search: "Suchen",
    title: "Daten",
  },
});
