/**
 * Messages between the primary of a node and one of its workers: each side tells, asks and answers the
 * other. A topic is a name; contents are JSON. What is asked of a peer that goes away is never answered, as
 * with a process that hangs: who must not wait for ever has a deadline.
 */
export interface Channel {
  readonly send: (message: unknown) => void;
  readonly onMessage: (handle: (message: unknown) => void) => void;
}

export interface Peer {
  readonly notify: (topic: string, content?: unknown) => void;
  /** @throws Error with the message of what the other side threw */
  readonly ask: (topic: string, content?: unknown) => Promise<unknown>;
  /** What is returned is the answer, where the other side asks. */
  readonly on: <Content>(topic: string, handle: (content: Content) => unknown) => void;
}

interface Message {
  readonly topic: string;
  readonly content?: unknown;
  /** Of a question, and of its answer. */
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
    const message = received as Message; // both sides are of one version
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
