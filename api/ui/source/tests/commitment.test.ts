import { expect, test } from "vitest";

import { byReason, isSentOnly } from "../src/api/commitment";
import type { Job } from "../src/api/jobs";

const job = (given: Partial<Job>): Job =>
  ({
    State: "Failure",
    ErrorCode: 2015,
    Progress: 98,
    Content: { InstancesCount: 60, StorageCommitmentTransactionUID: "2.25.1" },
    ...given,
  }) as Job;

test("a job that has sent all, and then nobody could be asked, is no failure to send", () => {
  expect(isSentOnly(job({}))).toBe(true);
  expect(isSentOnly(job({ Progress: 50, Content: { InstancesCount: 1, StorageCommitmentTransactionUID: "x" } }))).toBe(
    true,
  );
});

test.each<[string, Partial<Job>]>([
  ["one that could not send", { Progress: 0 }],
  ["one that has sent a part", { Progress: 97 }],
  ["one that failed otherwise", { ErrorCode: 9 }],
  ["one that has not failed", { State: "Success" }],
  ["one that was not to ask", { Content: { InstancesCount: 60 } }],
])("%s is what it seems", (_, given) => {
  expect(isSentOnly(job(given))).toBe(false);
});

test("failures are told by their reason, the most frequent first", () => {
  const refused = (SOPInstanceUID: string, Description: string) => ({
    SOPClassUID: "1.2",
    SOPInstanceUID,
    Description,
    FailureReason: 1,
  });
  expect(byReason([refused("1", "full"), refused("2", "unknown"), refused("3", "unknown")])).toEqual([
    { reason: "unknown", uids: ["2", "3"] },
    { reason: "full", uids: ["1"] },
  ]);
  expect(byReason([])).toEqual([]);
});
