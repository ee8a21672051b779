/** What somebody has dropped or chosen, as single files: folders are walked through, however deep. */

import { wordsOf } from "../parts/tell";

export interface Found {
  /** With the folders that it lies in. */
  name: string;
  /** null: the browser cannot read it, for this reason. */
  file: File | null;
  reason?: string;
}

export function ofInput(files: FileList): Found[] {
  return Array.from(files, (file) => ({ name: file.webkitRelativePath || file.name, file }));
}

/** Yield the files of a drop. The entries must be taken before the event is over, so this is called within it. */
export function ofDrop(data: DataTransfer): AsyncGenerator<Found> {
  const entries = Array.from(data.items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const plain = entries.length > 0 ? [] : ofInput(data.files);
  return walk(entries, plain);
}

async function* walk(entries: FileSystemEntry[], plain: Found[]): AsyncGenerator<Found> {
  yield* plain;
  const left = [...entries].reverse();
  for (let entry = left.pop(); entry !== undefined; entry = left.pop()) {
    if (entry.isFile) {
      yield await open(entry as FileSystemFileEntry);
    } else {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      try {
        // A browser tells of a folder a hundred entries at a time, and of none at its end.
        for (let some = await read(reader); some.length > 0; some = await read(reader)) left.push(...some.reverse());
      } catch (error) {
        yield { name: nameOf(entry), file: null, reason: wordsOf(error) };
      }
    }
  }
}

const nameOf = (entry: FileSystemEntry): string => entry.fullPath.replace(/^\//, "");

/** Open a file; the others come even if one cannot be read. */
async function open(entry: FileSystemFileEntry): Promise<Found> {
  try {
    return { name: nameOf(entry), file: await new Promise<File>((resolve, reject) => entry.file(resolve, reject)) };
  } catch (error) {
    return { name: nameOf(entry), file: null, reason: wordsOf(error) };
  }
}

function read(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}
