import { pino } from "pino";
import { expect, test } from "vitest";
import { createOpenSocket, type SocketRequest } from "./socket-route.ts";
import { type SocketOwner, tooManySockets } from "./socket-shares.ts";
import { createSockets } from "./sockets.ts";
import { createUpgrades } from "./upgrades.ts";

const tenant = { id: "t1" };

/** As whose a socket of this caller counts. */
function ownerOf(caller: object): SocketOwner | undefined {
  let owner: SocketOwner | undefined;
  const open = createOpenSocket({
    upgrades: createUpgrades(),
    sockets: {
      ...createSockets(),
      admit(found) {
        owner = found;
        throw tooManySockets();
      },
    },
    log: pino({ enabled: false }),
  });
  // It is asked for nothing else before it is admitted.
  const request = { request: {}, route: { path: "/" }, caller, ask: () => () => undefined };
  expect(() => open(request as unknown as SocketRequest)).toThrow(tooManySockets().message);
  return owner;
}

test.each([
  [
    "a tenant's user, of the tenant's share",
    { tenant, user: { kind: "tenant", id: "u1" } },
    { person: "t1/u1", group: "t1", isPlatformAdmin: false },
  ],
  [
    "a user of an account's tenant, of the share of all tenants of that account",
    { tenant: { ...tenant, ownerAccountId: "a2" }, user: { kind: "tenant", id: "u1" } },
    { person: "t1/u1", group: "a2", isPlatformAdmin: false },
  ],
  [
    "an administrator of the platform, of theirs",
    { user: { kind: "core", id: "a1", platformAdmin: true } },
    { person: "undefined/a1", group: "", isPlatformAdmin: true },
  ],
  [
    "an account, of those without a tenant",
    { user: { kind: "core", id: "a1", platformAdmin: false } },
    { person: "undefined/a1", group: "", isPlatformAdmin: false },
  ],
])("a WebSocket is that of %s", (_, caller, owner) => {
  expect(ownerOf(caller)).toEqual(owner);
});
