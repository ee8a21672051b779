/** What somebody has dropped or chosen, as single files: folders are walked through, however deep. */

export interface Found {
  /** With the folders that it lies in. */
  name: string;
  file: File;
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
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      yield { name: entry.fullPath.replace(/^\//, ""), file };
    } else {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      // A browser tells of a folder a hundred entries at a time, and of none at its end.
      for (let some = await read(reader); some.length > 0; some = await read(reader)) left.push(...some.reverse());
    }
  }
}

function read(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}
