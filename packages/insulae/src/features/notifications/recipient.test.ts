import { expect, it } from "vitest";
import { findCanonicalRecipient } from "./recipient.ts";

it.each([
  ["+49 (0)30 1234567", "+49301234567"],
  ["+44 (0) 20-7946 0000", "+442079460000"],
  ["+41(0)791234567", "+41791234567"],
  ["+1 (415) 555-0100", "+14155550100"],
  ["+49 30 (0) 1234567", "+493001234567"],
  ["+49\u00a030\u202f12\u200934\u2011567\u201389", "+4930123456789"],
  ["\u202a+49 30 1234567\u202c", "+49301234567"],
])("a text message to %j goes to %s", (given, number) => {
  expect(findCanonicalRecipient("sms", given)).toBe(number);
});

it.each(["(0)30 1234567", "+0(0)301234567", "+49 30\n1234567", "+49\u200b301234567"])(
  "a text message to %j is refused",
  (given) => expect(findCanonicalRecipient("sms", given)).toBeUndefined(),
);
