import { expect, test } from "vitest";

import { ofMetrics } from "../src/system/measuring";
import { parseMetrics, total } from "../src/system/prometheus";

// The first lines are an example of Prometheus' own description of its format.
const TEXT = String.raw`# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
http_request_duration_seconds_bucket{le="+Inf"} 144320
nothing NaN
not a metric at all
broken{ 5
`;

test("names, labels, values", () => {
  const found = parseMetrics(TEXT);
  expect(found.get("http_requests_total")).toEqual([
    { labels: { method: "post", code: "200" }, value: 1027 },
    { labels: { method: "post", code: "400" }, value: 3 },
  ]);
  expect(found.get("msdos_file_access_time_seconds")).toEqual([
    { labels: { path: "C:\\DIR\\FILE.TXT", error: 'Cannot find file:\n"FILE.TXT"' }, value: 1458255915 },
  ]);
  expect(found.get("metric_without_timestamp_and_labels")).toEqual([{ labels: {}, value: 12.47 }]);
  expect(found.get("something_weird")?.[0]?.value).toBe(Infinity);
  expect(found.get("nothing")?.[0]?.value).toBeNaN();
  expect([...found.keys()]).toHaveLength(6);
});

test("totals, with and without labels", () => {
  const found = parseMetrics(TEXT);
  expect(total(found, "http_requests_total")).toBe(1030);
  expect(total(found, "http_requests_total", { code: "400" })).toBe(3);
  expect(total(found, "http_requests_total", { code: "500" })).toBeNull();
  expect(total(found, "unknown")).toBeNull();
});

test("a measure, and none where metrics are off", () => {
  expect(ofMetrics("", 1)).toBeUndefined();
  const text = `orthanc_count_instances 7 1
orthanc_disk_size_mb 1.5 1
sinogram_instances_received_total{result="Success"} 5
sinogram_instances_received_total{result="AlreadyStored"} 3
sinogram_free_bytes{folder="index"} 1
sinogram_free_bytes{folder="storage"} 9
`;
  expect(ofMetrics(text, 4)).toMatchObject({ at: 4, instances: 7, stored: 5, storedBytes: 1_572_864, freeBytes: 9 });
});
