/** What more than three quarters of the time is taken of has little left for anybody else. */
const busyAbove = 0.75;

/** @returns tells whether this process's event loop has been busy since it was asked last. */
export function busyLoop(): () => boolean {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization > busyAbove;
  };
}
