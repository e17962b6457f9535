import type { Schemas } from "@insulae/client";
import { createContext, useContext } from "react";

export type Me = Schemas["Me"];

const CurrentMe = createContext<Me | undefined>(undefined);
export const MeProvider = CurrentMe.Provider;

/** Who is signed in, in this context. @throws Error outside of the shell */
export function useMe(): Me {
  const me = useContext(CurrentMe);
  if (!me) throw new Error("nobody is signed in here");
  return me;
}

/** Whether whoever is signed in may do what needs this permission. */
export const useMay = (): ((permission: string) => boolean) => {
  const { permissions } = useMe();
  return (permission) => permissions.includes(permission);
};
