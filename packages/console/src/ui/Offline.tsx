import { onlineManager } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { useText } from "../lib/i18n.ts";
import { texts } from "./texts.ts";

export function Offline() {
  const t = useText(texts);
  const online = useSyncExternalStore(
    (listener) => onlineManager.subscribe(listener),
    () => onlineManager.isOnline(),
  );
  return (
    <div role="status" className={online ? "sr-only" : "offline"}>
      {online ? "" : t.offline}
    </div>
  );
}
