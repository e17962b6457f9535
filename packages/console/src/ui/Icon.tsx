/** Line icons on a grid of 24, drawn in the text's colour. */
const paths = {
  alert:
    "M12 9v4m0 4h.01M10.3 3.9 1.8 18a2 2 0 0 0 1.7 3h17a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0Z",
  api: "m8 8-4 4 4 4m8-8 4 4-4 4m-3-11-2 14",
  audit:
    "M9 4h6v3H9zM9 5H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V6a1 1 0 0 0-1-1h-3M8.5 13l2.2 2.2L15.5 11",
  book: "M5 4h12a2 2 0 0 1 2 2v14H7a2 2 0 0 1-2-2zm0 14a2 2 0 0 1 2-2h12M9 8h6",
  check: "m5 12.5 4.5 4.5L19 7.5",
  chevron: "m8 10 4 4 4-4",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM15 9V5a1 1 0 0 0-1-1H6a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h3",
  data: "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3Zm0 0v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  globe:
    "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM3 12h18M12 3c2.5 2.5 3.8 5.7 3.8 9s-1.3 6.5-3.8 9c-2.5-2.5-3.8-5.7-3.8-9S9.5 5.5 12 3Z",
  health: "M3 12h4l2.5-6 4.5 12 2.5-6H21",
  home: "m4 11 8-7 8 7v9h-5v-6H9v6H4z",
  hook: "M9 8a4 4 0 1 1 5.7 3.600L12 17m3-5 3.5 2.500a3.5 3.5 0 1 1-3 6.300M12 9l-3.5 6a3.5 3.5 0 1 1-4.4-2.6",
  jobs: "M4 7h16v13H4zM9 7V4h6v3M4 12h16",
  key: "M14.5 9.500a5 5 0 1 1-2 8.200M11 13 20 4m-3 3 2.5 2.500M8.5 18.500h.01",
  keyboard: "M3 6h18v12H3zM7 10h.010M11 10h.010M15 10h.010M8 14h8",
  lab: "M9 3h6M10 3v6l-5.5 9.500A1.7 1.7 0 0 0 6 21h12a1.7 1.7 0 0 0 1.5-2.500L14 9V3M7.5 15h9",
  logs: "M4 6h16M4 10h10M4 14h13M4 18h7",
  mail: "M3 6h18v12H3zm0 1 9 7 9-7",
  menu: "M4 7h16M4 12h16M4 17h16",
  moon: "M20 14.500A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.500Z",
  more: "M6 12h.010M12 12h.010M18 12h.01",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4m-4-4h10",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 9a8 8 0 0 1 16 0",
  plus: "M12 5v14M5 12h14",
  refresh: "M20 11a8 8 0 1 0-2.3 6.200M20 5v6h-6",
  roles: "M12 3 5 6v5c0 4.5 3 8.3 7 10 4-1.7 7-5.5 7-10V6zM9 12l2 2 4-4",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.5 4.5",
  server: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.010M8 17h.01",
  settings:
    "M12 15.500a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM19.4 13.500a7.6 7.6 0 0 0 0-3l2-1.5-2-3.4-2.3 1a7.6 7.6 0 0 0-2.6-1.500L14 2.500h-4l-.5 2.600a7.6 7.6 0 0 0-2.6 1.500l-2.3-1-2 3.4 2 1.500a7.6 7.6 0 0 0 0 3l-2 1.5 2 3.4 2.3-1a7.6 7.6 0 0 0 2.6 1.500l.5 2.600h4l.5-2.600a7.6 7.6 0 0 0 2.6-1.500l2.3 1 2-3.400z",
  star: "m12 4 2.5 5.2 5.7.8-4.1 4 1 5.7-5.1-2.7-5.1 2.7 1-5.7-4.1-4 5.7-.800z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm0-13v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.400M18.4 5.6 17 7M7 17l-1.4 1.4",
  tenants: "M3 21V8l6-4 6 4v13M15 21V11l6 3v7M3 21h18M7 11h.010M11 11h.010M7 15h.010M11 15h.01",
  usage: "M4 20V10m5 10V4m5 16v-7m5 7V8",
  users:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6.5 9a6.5 6.5 0 0 1 13 0M16 4.300a3.5 3.5 0 0 1 0 6.400M18 14.500a6.5 6.5 0 0 1 3.5 5.5",
} as const;

export type IconName = keyof typeof paths;

/** It says nothing by itself: whatever contains it has a name. */
export function Icon({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.7}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={paths[name]} />
    </svg>
  );
}
