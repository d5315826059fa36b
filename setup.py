from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']

along = [f"{cfg['lib_name']}.{kind}" for kind in ('experiments', 'tutorials')]  # notebooks that come along with the package

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(root/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    license_expression={'apache2': 'Apache-2.0'}[cfg['license']],
    keywords=cfg['keywords'].split(),
    python_requires=f">={cfg['min_python']}",
    packages=[*find_packages(include=[cfg['lib_name'], f"{cfg['lib_name']}.*"]), *along],
    package_dir={name: f"nbs/{name.split('.')[-1]}" for name in along},
    package_data={name: ['*.ipynb', '*.yaml', '*.svg', '*.jpg'] for name in along},
    install_requires=cfg['requirements'].split(),
    extras_require={k.removesuffix('_requirements'): v.split() for k, v in cfg.items() if k.endswith('_requirements')},
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'jupyter_client.kernel_provisioners': [f"bidf-mkd-forked = {cfg['lib_name']}.lab.kernels:ForkedKernel"],
    },
)
