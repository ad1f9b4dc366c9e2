# check=experimental=CopyIgnoredFile
FROM scratch AS a
COPY secret.txt /x
ADD build /y
COPY build/out other /z/
COPY keep /k
FROM scratch
COPY --from=a secret.txt /q
