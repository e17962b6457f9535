/** The thread of `renderer.ts`: reports that it is ready, then answers questions one by one. */
import { parentPort } from "node:worker_threads";
import { AppError } from "../lib/errors.ts";
import { createTextEngine } from "./liquid.ts";
import type { Question, Reply } from "./renderer.ts";

const engine = createTextEngine();

function answer(question: Question): Reply {
  try {
    if ("variablesOf" in question) return { result: question.variablesOf.map(engine.variables) };
    const { render, values } = question;
    return {
      result: render.map(({ source, html }) =>
        html ? engine.renderHtml(source, values) : engine.render(source, values),
      ),
    };
  } catch (error) {
    if (error instanceof AppError) return { invalid: error.message };
    throw error;
  }
}

parentPort?.on("message", (question: Question) => parentPort?.postMessage(answer(question)));
parentPort?.postMessage("ready");
