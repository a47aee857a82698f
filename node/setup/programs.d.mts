export declare const PROGRAM_NAMES: readonly string[];
export declare function findProgram(name: string): string | undefined;
export declare function isEverythingRequired(): boolean;
export declare function installCommand(name: string): string;
