/** What the handler of a socket's route talks to. */
export interface OutgoingSocket {
  /**
   * Sends a text message.
   *
   * @param sent is called when it has left the process, or never will.
   */
  readonly send: (text: string, sent?: () => void) => void;
  /** Sends messages that are framed already, by `textFrame`: what goes to many viewers is framed once. */
  readonly sendFrames: (frames: Buffer, sent: () => void) => void;
  /** @param left is called once, as soon as nothing may be sent any more. */
  readonly onLeft: (left: () => void) => void;
}
