#!/bin/sh
echo "hello from version $VERSION, built once and pulled from a registry"
