import { useEffect, useState } from "react";

/** Where a screen will be; shown after a moment, so that what is quick doesn't flicker. */
export function Skeleton() {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(timer);
  }, []);
  if (!late) return null;
  return (
    <div className="skeleton" aria-busy="true">
      <i />
      <i />
      <i />
      <i />
    </div>
  );
}
