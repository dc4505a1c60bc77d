"""LightningDataModules: what each stage of a recipe trains and is measured on."""
