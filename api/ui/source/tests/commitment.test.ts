import { expect, test } from "vitest";

import { byReason, isSentOnly } from "../src/api/commitment";
import type { Job } from "../src/api/jobs";

const job = (given: Partial<Job>): Job =>
  ({
    State: "Failure",
    ErrorCode: 2015,
    ErrorDetails: "Sending is done, but WARD does not offer storage commitment",
    Progress: 99,
    Content: { InstancesCount: 1_000, FailedInstancesCount: 0, StorageCommitmentTransactionUID: "2.25.1" },
    ...given,
  }) as Job;

test("a job that has sent all, and then nobody could be asked, is no failure to send", () => {
  expect(isSentOnly(job({}))).toBe(true);
});

test.each<[string, Partial<Job>]>([
  ["one that the modality refused near its end", { ErrorDetails: "WARD accepts no 1.2.840.10008.5.1.4.1.1.2" }],
  ["one that failed otherwise", { ErrorCode: 9, ErrorDetails: "" }],
  ["one that has passed over what could not be sent", { Content: { InstancesCount: 1_000, FailedInstancesCount: 14 } }],
  ["one that has not failed", { State: "Success", ErrorDetails: "" }],
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
