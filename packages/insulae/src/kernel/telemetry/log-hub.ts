/**
 * Lines of the log, as they are written, for those who watch. The app's logger writes through the hub
 * (`tap`): each line goes where it always went, and to the viewers whom it concerns. The server's own
 * loggers take secrets out of what they write; an application's may not, so it is done here as well.
 *
 * Whose a line is, its logger says (`ownedLog`): a request's is of the request's tenant, whatever the
 * line holds. Lines of loggers that say nothing are the server's own, and name a tenant in a field.
 * What is nobody's goes to platform administrators only.
 *
 * While nobody watches, the hub costs a comparison a line. While somebody does, the level is `info`
 * at least, for them: where the log itself goes to, it stays as configured.
 *
 * A viewer has a bounded queue. Some 64 KiB may be on their way to it; what comes in meanwhile is
 * queued, and beyond `bufferSize` lines the oldest are dropped and counted. The viewer is told how
 * many, where they are missing.
 */
import { pino } from "pino";
import type { OutgoingSocket } from "../http/sockets.ts";
import { type Logger, ownerOf } from "./log.ts";
import { formatDropped, formatLine, type LogFormat, readLine } from "./log-line.ts";

export interface LogHub {
  /** The logger to use instead: what it writes is seen. Its level is the hub's from now on. */
  tap(log: Logger): Logger;
  /** Sends the lines of a tenant, or (undefined) all, until the socket is left. */
  watch(socket: OutgoingSocket, tenantId: string | undefined): void;
  /** How many watch, and how many lines they were too slow for. */
  stats(): { readonly viewers: number; readonly dropped: number };
}

export interface LogHubOptions {
  readonly format: LogFormat;
  /** How many lines are kept for a viewer who is too slow. */
  readonly bufferSize: number;
}

const maxBytesUnderWay = 65_536;

interface Viewer {
  readonly tenantId: string | undefined;
  readonly show: (text: string) => void;
}

/** The part of a destination that pino speaks to; it leaves what it knows of the line in it. */
interface Destination {
  write(line: string): void;
  lastLevel?: number;
  lastObj?: unknown;
  lastMsg?: string;
  lastTime?: string;
  lastLogger?: Logger;
}

const wantsMetadata = Symbol.for("pino.metadata");

export function createLogHub({ format, bufferSize }: LogHubOptions): LogHub {
  const viewers = new Set<Viewer>();
  let droppedInAll = 0;
  const tapped: { readonly log: Logger; readonly level: string }[] = [];

  const publish = (line: string, tenantId: string | undefined): void => {
    const concerned = [...viewers].filter(
      (viewer) => viewer.tenantId === undefined || viewer.tenantId === tenantId,
    );
    if (concerned.length === 0) return;
    const text = formatLine(readLine(line), format);
    for (const viewer of concerned) viewer.show(text);
  };

  const chooseLevel = (): void => {
    for (const { log, level } of tapped) {
      const enough = viewers.size === 0 || rankOf(level) <= rankOf("info");
      log.level = enough ? level : "info";
    }
  };

  return {
    tap(log) {
      const own = log.child({});
      const destination: Destination = Reflect.get(log, pino.symbols.streamSym);
      const least = rankOf(log.level);
      // What else it can do (flush, end) it does as before.
      const through: Destination = Object.create(destination);
      through.write = (line) => {
        const { lastLevel = 0, lastObj, lastLogger } = through;
        if (lastLevel >= least) {
          if (Reflect.get(destination, wantsMetadata)) Object.assign(destination, through);
          destination.write(line);
        }
        if (viewers.size > 0) publish(line, tenantOf(lastLogger, lastObj));
      };
      Reflect.set(through, wantsMetadata, true);
      Reflect.set(own, pino.symbols.streamSym, through);
      tapped.push({ log: own, level: log.level });
      return own;
    },
    watch(socket, tenantId) {
      const viewer = {
        tenantId,
        show: reader(socket, bufferSize, format, () => {
          droppedInAll += 1;
        }),
      };
      viewers.add(viewer);
      chooseLevel();
      socket.onLeft(() => {
        viewers.delete(viewer);
        chooseLevel();
      });
    },
    stats: () => ({ viewers: viewers.size, dropped: droppedInAll }),
  };
}

const rankOf = (level: string): number => pino.levels.values[level] ?? Number.POSITIVE_INFINITY;

/** The tenant whose line it is. */
function tenantOf(log: Logger | undefined, fields: unknown): string | undefined {
  const owner = log && ownerOf(log);
  if (owner !== undefined) return owner ?? undefined;
  const named = typeof fields === "object" && fields !== null && Reflect.get(fields, "tenant_id");
  return typeof named === "string" ? named : undefined;
}

/** Shows lines to one viewer, as fast as it reads, and never keeps more than so many. */
function reader(
  socket: OutgoingSocket,
  bufferSize: number,
  format: LogFormat,
  onDropped: () => void,
) {
  let queue: string[] = [];
  let dropped = 0;
  let underWay = 0;
  socket.onLeft(() => {
    queue = [];
  });

  const send = (text: string): void => {
    underWay += text.length;
    socket.send(text, () => {
      underWay -= text.length;
      sendMore();
    });
  };
  const sendMore = (): void => {
    if (underWay >= maxBytesUnderWay) return;
    if (dropped > 0 && queue.length > 0) {
      send(formatDropped(dropped, Date.now(), format));
      dropped = 0;
    }
    while (underWay < maxBytesUnderWay) {
      const text = queue.shift();
      if (text === undefined) return;
      send(text);
    }
  };

  return (text: string): void => {
    queue.push(text);
    if (queue.length > bufferSize) {
      queue.shift();
      dropped += 1;
      onDropped();
    }
    sendMore();
  };
}
