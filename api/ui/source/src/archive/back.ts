/** The search that the list was left with, so that the way back leads to it. */

let search = "";

export function rememberSearch(query: URLSearchParams): void {
  search = query.toString();
}

/** The path of the list as it was left. */
export const listPath = (): string => (search ? `/?${search}` : "/");
