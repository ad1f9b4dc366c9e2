FROM scratch AS a
WORKDIR /app
FROM a AS b
WORKDIR rel
FROM scratch AS c
FROM c
WORKDIR x/y
