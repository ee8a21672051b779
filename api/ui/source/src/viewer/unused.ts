/** Stands for packages that the viewer's libraries name and never call here: a writer of XML files, for one. */

export function create(): never {
  throw new Error("this package is not part of the page");
}

export const initialize = create;
export default create;
