// Removes everything that a build makes.
import { rmSync } from 'node:fs';

for (const path of [
  'lib',
  'tsconfig.tsbuildinfo',
  '../lepton_lab/labextension',
  '../lepton_lab/widgets/static'
]) {
  rmSync(new URL(path, import.meta.url), { recursive: true, force: true });
}
