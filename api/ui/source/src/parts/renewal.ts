/** The page is loaded anew where a part of it is missed: the server has a newer page by now. */

const KEY = "sinogram-renewed";
const REST_MS = 60_000; // what stays away is told instead

/** Whether the page was not loaded anew just before. */
export function mayRenew(now: number, storage: Storage = sessionStorage): boolean {
  if (now - Number(storage.getItem(KEY) ?? 0) < REST_MS) return false;
  storage.setItem(KEY, String(now));
  return true;
}

export function renewWhereAPartIsMissed(): void {
  addEventListener("vite:preloadError", () => {
    if (mayRenew(Date.now())) location.reload();
  });
}
