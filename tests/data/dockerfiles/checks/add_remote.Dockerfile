# check=experimental=CopyIgnoredFile
FROM scratch
ADD https://example.org/secret.txt /x
ADD git@example.org:me/secret.txt.git /y
