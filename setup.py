"""Installs brain_mri with the metadata of settings.ini, which is where to change them."""

from configparser import ConfigParser

from setuptools import setup

config = ConfigParser()
config.read("settings.ini", encoding="utf-8")
settings = config["DEFAULT"]

setup(
    name=settings["lib_name"],
    version=settings["version"],
    description=settings["description"],
    author=settings["author"],
    license="AGPL-3.0-or-later",
    packages=[settings["lib_path"]],
    python_requires=f">={settings['min_python']}",
    install_requires=settings["requirements"].split(),
    entry_points={"console_scripts": settings.get("console_scripts", "").split()},
)
