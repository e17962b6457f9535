/**
 * Messages between a node's primary and a worker: notifications, requests and responses. A topic is
 * a name; contents are JSON. A request to a peer that exits or hangs is never answered, so use a
 * deadline.
 */
export interface Channel {
  readonly send: (message: unknown) => void;
  readonly onMessage: (handle: (message: unknown) => void) => void;
}

export interface Peer {
  readonly notify: (topic: string, content?: unknown) => void;
  /** @throws Error with the message of the other side's error */
  readonly ask: (topic: string, content?: unknown) => Promise<unknown>;
  /** The handler's result is the response to a request. */
  readonly on: <Content>(topic: string, handle: (content: Content) => unknown) => void;
}

interface Message {
  readonly topic: string;
  readonly content?: unknown;
  /** Pairs a request with its response. */
  readonly id?: number;
}

const answerTopic = "answer";
const failureTopic = "failure";

export function createPeer({ send, onMessage }: Channel): Peer {
  const handlers = new Map<string, (content: never) => unknown>();
  const asked = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;

  const answer = async ({ topic, content, id }: Message): Promise<void> => {
    try {
      send({ topic: answerTopic, id, content: await handlers.get(topic)?.(content as never) });
    } catch (error) {
      send({ topic: failureTopic, id, content: String(error) });
    }
  };
  const settle = ({ topic, content, id }: Message): void => {
    const question = asked.get(id ?? 0);
    asked.delete(id ?? 0);
    if (topic === answerTopic) question?.resolve(content);
    else question?.reject(new Error(String(content)));
  };

  onMessage((received) => {
    const message = received as Message; // both sides run the same version
    if (message.topic === answerTopic || message.topic === failureTopic) settle(message);
    else if (message.id === undefined) handlers.get(message.topic)?.(message.content as never);
    else void answer(message);
  });
  return {
    notify: (topic, content) => send({ topic, content }),
    ask(topic, content) {
      lastId += 1;
      const question = Promise.withResolvers<unknown>();
      asked.set(lastId, question);
      send({ topic, content, id: lastId });
      return question.promise;
    },
    on: (topic, handle) => void handlers.set(topic, handle),
  };
}
