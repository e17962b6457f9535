/** What the handler of a socket's route talks to. */
export interface OutgoingSocket {
  /**
   * @param frames whole messages, as `textFrame` makes them.
   * @param sent is called when they have left the process, or never will.
   */
  readonly send: (frames: Buffer, sent: () => void) => void;
  /** @param left is called once, as soon as nothing may be sent any more. */
  readonly onLeft: (left: () => void) => void;
}
