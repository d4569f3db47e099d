/** The anywidget's entry: small, for every widget sends it. The program itself comes once a page. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";

/** What the program needs of `nbtrack.widget.View`, and what this entry does. */
interface Traits {
  /** Names the program; a kernel with another nbtrack has another one. */
  code_key: string;
  /** The program, gzip, with the first view of a kernel; later ones send nothing. */
  code: DataView | ArrayBuffer | null;
  [name: string]: unknown;
}

interface Program {
  initialize(props: unknown): void;
  render(props: unknown): void;
}

/** One program on its way to this page. */
interface Slot {
  program: Promise<Program>;
  give: (code: BlobPart) => void;
  given: boolean;
  asked: boolean;
}

const SLOTS = Symbol.for("nbtrack.programs");
const ASK_AGAIN_MS = 2000;

async function load(code: BlobPart): Promise<Program> {
  const unpacked = new Blob([code]).stream().pipeThrough(new DecompressionStream("gzip"));
  const text = await new Response(unpacked).text();
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return (await import(/* webpackIgnore: true */ url)) as Program;
  } finally {
    URL.revokeObjectURL(url);
  }
}

function slotOf(key: string): Slot {
  const page = globalThis as { [SLOTS]?: Map<string, Slot> };
  page[SLOTS] ??= new Map();
  let slot = page[SLOTS].get(key);
  if (slot === undefined) {
    let give: Slot["give"] = () => undefined;
    const program = new Promise<BlobPart>((resolve) => {
      give = resolve;
    }).then(load);
    slot = { program, give, given: false, asked: false };
    page[SLOTS].set(key, slot);
  }
  return slot;
}

function programFor(model: AnyModel<Traits>): Promise<Program> {
  const key = model.get("code_key");
  const slot = slotOf(key);
  const take = (code: BlobPart): void => {
    slot.given = true;
    slot.give(code);
  };
  const code = model.get("code");
  if (code !== null && code.byteLength > 0) {
    take(code as BlobPart);
  } else if (!slot.given) {
    const receive = (message: { code?: unknown }, buffers: DataView[]): void => {
      const [bytes] = buffers;
      if (message?.code === key && bytes !== undefined) {
        model.off("msg:custom", receive);
        take(bytes as DataView<ArrayBuffer>);
      }
    };
    const ask = (): void => {
      if (!slot.given) {
        slot.asked = true;
        model.on("msg:custom", receive);
        model.send({ code: key });
      }
    };
    // Whoever asked first may be gone before there was an answer.
    setTimeout(ask, slot.asked ? ASK_AGAIN_MS : 0);
    slot.asked = true;
  }
  return slot.program;
}

async function initialize(props: InitializeProps<Traits>): Promise<void> {
  const program = await programFor(props.model);
  if (!props.signal.aborted) {
    program.initialize(props);
  }
}

async function render(props: RenderProps<Traits>): Promise<void> {
  const program = await programFor(props.model);
  if (!props.signal.aborted) {
    program.render(props);
  }
}

export default { initialize, render };
