"""The database and the cache, as the other programs here need them."""

import os
import pathlib

import psycopg2
import redis


def database():
    password = pathlib.Path("/run/secrets/db_password").read_text().strip()
    return psycopg2.connect(os.environ["DATABASE"], password=password, connect_timeout=5)


def cache():
    return redis.Redis(os.environ["CACHE"], socket_timeout=5)
