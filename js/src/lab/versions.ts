/** Whether the nbtrack of the Jupyter server and that of the kernel go together: they may lie in two environments. */
import { trans } from "../i18n";

const parts = (version: string): string[] => version.split(/[.+-]/);

/** What to say of two versions; "" where they go together. A difference in the last place means nothing. */
export function mismatchOf(server: string, kernel: string | null): string {
  if (kernel === null) {
    return trans.__(
      "The kernel has no nbtrack: cells cannot be tracked. Run %pip install nbtrack in the notebook, then restart its kernel.",
    );
  }
  const [a, b] = [parts(server), parts(kernel)];
  if (a[0] === b[0] && a[1] === b[1]) {
    return "";
  }
  const older = Number(a[0]) - Number(b[0]) || Number(a[1]) - Number(b[1]);
  return older < 0
    ? trans.__(
        "This panel is nbtrack %1, the kernel's is %2. Upgrade nbtrack where JupyterLab runs, then restart JupyterLab; until then newer things may be missing here.",
        server,
        kernel,
      )
    : trans.__(
        "The kernel's nbtrack is %2, this panel is %1. Run %pip install -U nbtrack in the notebook and restart its kernel; until then newer things may be missing in its runs.",
        server,
        kernel,
      );
}
