/** Numbers as options of commands. */
import { InvalidArgumentError } from "commander";

export const wholeNumber = (min: number, max: number) => (text: string) => {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  }
  return number;
};

export const positive = wholeNumber(1, 10_000);
