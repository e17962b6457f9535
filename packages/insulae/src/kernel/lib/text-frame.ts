/**
 * A text message as a server sends it over a WebSocket: one frame, not masked (RFC 6455, section 5.2).
 * The bytes are the same for everybody, so what goes to many is made once.
 */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const wide = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + wide + length);
  frame[0] = 0x81; // the last frame of a text
  frame[1] = wide === 0 ? length : wide === 2 ? 126 : 127;
  if (wide === 2) frame.writeUInt16BE(length, 2);
  if (wide === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.write(text, 2 + wide);
  return frame;
}
