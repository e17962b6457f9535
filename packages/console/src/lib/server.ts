import { useQuery } from "@tanstack/react-query";
import { cookieClient } from "./context.tsx";

/** What the server says of itself to everybody. */
export const useServer = () =>
  useQuery({
    queryKey: ["server"],
    queryFn: () => cookieClient.get("/auth/context"),
    staleTime: Number.POSITIVE_INFINITY,
  });
