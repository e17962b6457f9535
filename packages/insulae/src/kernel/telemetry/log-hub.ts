/**
 * Lines of the log, as they are written, for those who watch. The app's logger writes through the hub
 * (`tap`): each line goes where it always went, to LOG_FILE if there is one, and to the viewers whom it
 * concerns. The server's own loggers take secrets out of what they write; an application's may not,
 * so it is done here as well.
 *
 * Whose a line is, its logger says (`ownedLog`): a request's is of the request's tenant, whatever the
 * line holds. Lines of loggers that say nothing are the server's own, and name a tenant in a field.
 * What is nobody's goes to platform administrators only.
 *
 * While nobody watches, the hub costs a comparison a line. While somebody does, the level is `info`
 * at least, for them: where the log itself goes to, it stays as configured, by module.
 *
 * Viewers are served in turns, for a share of the time: a twentieth, and a hundredth while the event
 * loop is busy, however many watch. Requests have the rest. Some 64 KiB may be on their way to each.
 * Whoever is too slow for that, or has to wait too long for its turn, misses the oldest lines beyond
 * `bufferSize`, and is told how many, where they are missing.
 *
 * A worker's lines go to the viewers of the other workers of its node as well (`peers`), while there are any.
 */
import { pino } from "pino";
import { busyLoop } from "../lib/event-loop.ts";
import { Fifo } from "../lib/fifo.ts";
import type { OutgoingSocket } from "../lib/outgoing-socket.ts";
import {
  type Destination,
  type Logger,
  type LogModule,
  leastOf,
  ownerOf,
  wantsMetadata,
  withModules,
} from "./log.ts";
import { type Channel, createChannel, lineOf, type Wanted } from "./log-channel.ts";
import type { LogFormat } from "./log-line.ts";

type ViewerSocket = Pick<OutgoingSocket, "sendFrames" | "onLeft">;

export interface LogHub {
  /** The logger to use instead: what it writes is seen. Its level is the hub's from now on. */
  tap(log: Logger): Logger;
  /** Sends the lines until the socket is left. @param wanted.format default: as configured */
  watch(socket: ViewerSocket, wanted: Partial<Wanted>): void;
  /** How many watch, and how many lines they were too slow for. */
  stats(): { readonly viewers: number; readonly dropped: number };
}

/** The hubs of the other workers. */
export interface LogPeers {
  /** Tells them whether somebody watches here. */
  readonly watching: (watched: boolean) => void;
  /** Sends them a line, while somebody watches there. */
  readonly send: (line: string, level: number, tenantId: string | undefined) => void;
  /** Hears whether somebody watches there, and their lines. */
  readonly follow: (
    onWatched: (watched: boolean) => void,
    onLine: (line: string, level: number, tenantId: string | undefined) => void,
  ) => void;
}

export interface LogHubOptions {
  readonly format: LogFormat;
  /** How many lines are kept for a viewer who is too slow. */
  readonly bufferSize: number;
  /** The levels of modules that have one of their own. */
  readonly levels?: Readonly<Partial<Record<LogModule, string>>>;
  /** Gets each line as well that is written. */
  readonly file?: ((line: string) => void) | undefined;
  readonly peers?: LogPeers | undefined;
  /** @returns whether the event loop has been busy since it was asked last. */
  readonly isBusy?: () => boolean;
}

const maxBytesUnderWay = 65_536;
const everyMs = 20;
const shareMs = everyMs / 20;
const shareWhileBusyMs = everyMs / 100;
const maxOverdrawnMs = 10;
/** Where PostgreSQL shares the machine, a loop that has all it can do still waits a fifth of the time. */
const busyAbove = 0.5;

interface Viewer {
  readonly channel: Channel;
  /** The place in the channel. */
  next: number;
  underWay: number;
  readonly socket: ViewerSocket;
}

const info = 30;

export function createLogHub(options: LogHubOptions): LogHub {
  const { format, bufferSize, levels = {}, file, peers, isBusy = busyLoop(busyAbove) } = options;
  const capacity = Math.max(1, bufferSize);
  /** Whose turn it is comes first. */
  const viewers = new Fifo<Viewer>();
  /** By tenant; those who see all under the empty text. */
  const channels = new Map<string, Set<Channel>>();
  const tapped: { readonly log: Logger; readonly level: string }[] = [];
  let dropped = 0;
  let serving = false;
  let watchedElsewhere = false;
  let budgetMs = 0;

  const publish = (line: string, level: number, tenantId: string | undefined): void => {
    const entry = lineOf(line);
    let pushed = false;
    for (const key of tenantId === undefined ? [""] : ["", tenantId]) {
      for (const channel of channels.get(key) ?? []) {
        if (level < channel.wanted.least) continue;
        channel.push(entry);
        pushed = true;
      }
    }
    if (pushed) serveSoon();
  };

  const serveSoon = (): void => {
    if (serving) return;
    serving = true;
    setTimeout(() => {
      serving = false;
      serve();
    }, everyMs).unref();
  };

  /** Sends to those who are behind. What that takes beyond the share, the next ones are short of. */
  const serve = (): void => {
    budgetMs = Math.min(budgetMs, 0) + (isBusy() ? shareWhileBusyMs : shareMs);
    let begun = performance.now();
    for (let others = viewers.size; others > 0; others -= 1) {
      const viewer = viewers.first;
      if (!viewer) return;
      const isOwed = isBehind(viewer);
      if (isOwed && budgetMs <= 0) {
        serveSoon();
        return;
      }
      viewers.shift();
      viewers.push(viewer);
      if (!isOwed) continue;
      send(viewer);
      const now = performance.now();
      // What the garbage collector takes meanwhile is to keep nobody waiting for more than a second.
      budgetMs = Math.max(budgetMs - (now - begun), -maxOverdrawnMs);
      begun = now;
    }
  };

  const isBehind = ({ next, channel, underWay }: Viewer): boolean =>
    next < channel.end && underWay < maxBytesUnderWay;

  const send = (viewer: Viewer): void => {
    do {
      const batch = viewer.channel.take(viewer.next, maxBytesUnderWay - viewer.underWay);
      viewer.next = batch.next;
      dropped += batch.dropped;
      viewer.underWay += batch.bytes.length;
      viewer.socket.sendFrames(batch.bytes, () => {
        viewer.underWay -= batch.bytes.length;
        if (viewer.next < viewer.channel.end) serveSoon();
      });
    } while (isBehind(viewer));
  };

  const channelFor = (wanted: Wanted): Channel => {
    const key = wanted.tenantId ?? "";
    const same = channels.get(key) ?? new Set();
    for (const channel of same) {
      if (channel.wanted.format === wanted.format && channel.wanted.least === wanted.least) {
        return channel;
      }
    }
    const made = createChannel(wanted, capacity);
    channels.set(key, same.add(made));
    return made;
  };

  const leave = (viewer: Viewer): void => {
    viewers.delete(viewer);
    if (viewers.find(({ channel }) => channel === viewer.channel)) return;
    const key = viewer.channel.wanted.tenantId ?? "";
    const same = channels.get(key);
    same?.delete(viewer.channel);
    if (same?.size === 0) channels.delete(key);
  };

  const chooseLevel = (): void => {
    const watched = viewers.size > 0 || watchedElsewhere;
    for (const { log, level } of tapped) {
      log.level = !watched || rankOf(level) <= info ? level : "info";
    }
  };
  peers?.follow((watched) => {
    watchedElsewhere = watched;
    chooseLevel();
  }, publish);

  return {
    tap(log) {
      const destination: Destination = Reflect.get(log, pino.symbols.streamSym);
      const least = rankOf(log.level);
      // What else it can do (flush, end) it does as before.
      const through: Destination = Object.create(destination);
      through.write = (line) => {
        const { lastLevel = 0, lastObj, lastLogger } = through;
        if (lastLevel >= (leastOf(lastLogger) ?? least)) {
          if (destination[wantsMetadata]) passMetadata(through, destination);
          destination.write(line);
          file?.(line);
        }
        if (viewers.size === 0 && !watchedElsewhere) return;
        const tenantId = tenantOf(lastLogger, lastObj);
        if (viewers.size > 0) publish(line, lastLevel, tenantId);
        if (watchedElsewhere) peers?.send(line, lastLevel, tenantId);
      };
      through[wantsMetadata] = true;
      const own = withModules(log.child({}), (module, child) => {
        const level = levels[module] ?? log.level;
        tapped.push({ log: child, level });
        chooseLevel();
        return rankOf(level);
      });
      Reflect.set(own, pino.symbols.streamSym, through);
      tapped.push({ log: own, level: log.level });
      return own;
    },
    watch(socket, wanted) {
      const channel = channelFor({ tenantId: undefined, format, least: 0, ...wanted });
      const viewer = { channel, next: channel.end, underWay: 0, socket };
      viewers.push(viewer);
      if (viewers.size === 1) peers?.watching(true);
      chooseLevel();
      socket.onLeft(() => {
        leave(viewer);
        if (viewers.size === 0) peers?.watching(false);
        chooseLevel();
      });
    },
    stats: () => ({ viewers: viewers.size, dropped }),
  };
}

function passMetadata(from: Destination, to: Destination): void {
  to.lastLevel = from.lastLevel ?? 0;
  to.lastObj = from.lastObj;
  to.lastMsg = from.lastMsg;
  to.lastTime = from.lastTime;
  if (from.lastLogger) to.lastLogger = from.lastLogger;
}

const rankOf = (level: string): number => pino.levels.values[level] ?? Number.POSITIVE_INFINITY;

/** The tenant whose line it is. */
function tenantOf(log: Logger | undefined, fields: unknown): string | undefined {
  const owner = log && ownerOf(log);
  if (owner !== undefined) return owner ?? undefined;
  const named = typeof fields === "object" && fields !== null && Reflect.get(fields, "tenant_id");
  return typeof named === "string" ? named : undefined;
}
