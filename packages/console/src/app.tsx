import { ApiError } from "@insulae/client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useState } from "react";
import { createConsoleRouter } from "./router.tsx";

const isTransient = (error: unknown): boolean => !(error instanceof ApiError);

export function App() {
  const [cache] = useState(
    () =>
      new QueryClient({
        defaultOptions: {
          // The client retries what may be retried.
          queries: { retry: (count, error) => isTransient(error) && count < 2 },
          mutations: { retry: false },
        },
      }),
  );
  const [router] = useState(createConsoleRouter);
  return (
    <QueryClientProvider client={cache}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  );
}
